"""What Headrace costs, each measure beside its baseline in the same minute. Run `python -m bench --help`."""
