"""Values, errors and text for every other room. Nothing here touches files, clocks or processes."""
