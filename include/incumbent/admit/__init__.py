"""Foreign files: judged by what they say of themselves, then read by a process that may die of it."""
