"""What runs on top of the package: the use cases (service), the REST API (api) and the web UI (ui).

Installed as ``matinee.app``; imports inside this folder are relative.
"""
