"""`python -m atlcodec` is `atlc`."""

from atlcodec.cli import main

if __name__ == "__main__":
    main()
