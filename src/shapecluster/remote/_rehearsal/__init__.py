"""The platform of rehearsals: the calls, states, errors, files and programs of AWS, in a local folder.

```
platform     Rehearsal: dispatches each call
  training     training jobs              supervisor   runs one program in a folder, in a process that
  serving      endpoints                               outlives its caller; standard library only
  transform    batch transform jobs       programs     the program, its arguments and its environment
  register     create, describe, list     captured     output of programs that run in this process
  records      stored resources           folders      start, stop and find supervisors
  objects      files, as in S3            listing      a Marketplace listing to rehearse with
  logs         logs, as in CloudWatch     archive      unpack a model for a server
```
"""
