"""HTTP below the routes: bounded requests, methods, admission, shutdown."""
