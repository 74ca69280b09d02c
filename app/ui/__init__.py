"""The web pages: a client of the REST API over HTTP, and of nothing else in this repository.

`server` serves them, `page` lays them out, `tabs` holds one module a tab, `html` writes what people see, `client` asks
the API. No module here imports `matinee`, so the pages can live on another machine than the models.
"""

import os

# Before the first import of gradio, wherever it happens: nothing phones home.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
