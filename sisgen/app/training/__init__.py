"""Training in the label tab: a job is a folder, one job runs at a time, in a process of its own."""
