"""What depends on what, read off the typed relationships by rules.

Pure. ``rules`` reads and checks a file of rules, ``derive`` gives the ``dependsOn`` relationships
they imply between given twins. Above ``twins`` and ``inventory``; the agent adds what is derived to
the desired graph.
"""
