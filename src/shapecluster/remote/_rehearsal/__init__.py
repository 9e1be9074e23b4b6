"""A cloud in a folder: the same calls, states, errors and files as on AWS, and the same programs.

```
platform     Rehearsal: which call goes where
  training     training jobs                 supervisor   runs one program in a folder, in a process of its
  serving      endpoints                                  own that outlives ours; standard library only
  transform    batch transform jobs          programs     which program, with which environment
  records      models, configurations        listing      a Marketplace listing to rehearse with
  objects      files, as S3 keeps them       folders      how our processes see each other's state
```
"""
