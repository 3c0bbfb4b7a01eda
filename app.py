"""The page: `python app.py`, then open the address that it prints."""

from sisgen.app.launch import main

if __name__ == "__main__":
    raise SystemExit(main())
