"""A reader of status files and ledgers that shares no code with the product: what one misreads, the other sees."""
