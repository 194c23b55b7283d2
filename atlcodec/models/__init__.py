"""The bundled models. A package, so that they are installed as `atlcodec.models` with the code that reads them."""
