"""Execution of stages in processes of their own, without knowledge of Luigi.

`executor.execute` takes the lock of a `Job`'s artifact and asks `forkserver` to fork a process, in which
`worker` restores the configuration and calls the stage's `work` on a `Workspace`.
"""
