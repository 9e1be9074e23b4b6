"""The platform of rehearsals: the calls, states, errors, files and programs of AWS, in a local folder.

```
platform     Rehearsal: dispatches each call; the Marketplace listing to rehearse with
  training     training jobs              programs     the program, its arguments and environment;
  transform    batch transform jobs                    start, stop and find its supervisor
  serving      servers and endpoints      supervisor   runs one program in a folder, in a process that
  jobs         states and logs of jobs                 outlives its caller; standard library only
  records      stored resources, tags     captured     output of programs that run in this process
  objects      files, as in S3
```
"""
