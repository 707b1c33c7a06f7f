"""Reading in a process of its own, so that no file ends or blocks a job."""
