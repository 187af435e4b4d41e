"""`python -m fetcher` and the console script."""


def main() -> None:
    """Run the command line."""
    from fetcher.cli.app import run  # imported when it runs: a no-op must not pay for it

    run()


if __name__ == "__main__":
    main()
