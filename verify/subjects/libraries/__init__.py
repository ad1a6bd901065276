"""One file a library, named as its adapter: the samplers that are judged, and their orders."""
