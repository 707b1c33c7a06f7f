"""The documentation as a site: pages are staged, the API reference is made of OpenAPI, and all links are checked."""
