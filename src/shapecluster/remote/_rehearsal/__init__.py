"""The platform of rehearsals: the calls, states, errors, files and programs of AWS, in a local folder.

```
platform     Rehearsal: dispatches each call
  training     training jobs              supervisor   runs one program in a folder, in a process that
  serving      endpoints                               outlives its caller; standard library only
  transform    batch transform jobs       programs     the program, its arguments and its environment
  records      stored resources, tags     captured     output of programs that run in this process
  objects      files, as in S3            folders      start, stop and find supervisors
  logs         logs, as in CloudWatch     listing      a Marketplace listing to rehearse with
                                          archive      unpack a model for a server
```
"""
