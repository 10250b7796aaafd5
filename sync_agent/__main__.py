"""``python -m sync_agent`` is ``sync-agent``."""

from sync_agent.cli.main import main

if __name__ == "__main__":
    main()
