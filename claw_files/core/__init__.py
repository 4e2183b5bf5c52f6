"""Values, errors and text that every other room may use. Nothing here touches files, clocks or processes."""
