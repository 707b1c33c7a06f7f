"""Jobs and nodes are killed, disks fill up, clocks are wrong: nothing may be lost."""
