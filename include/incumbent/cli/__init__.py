"""The command line: `incumbent NOUN VERB`."""
