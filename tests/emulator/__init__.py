"""Amazon SageMaker on this machine, for tests: real HTTP, real jobs, and the faults of the real one.

    boto3 --HTTP--> server.Emulator
                      wire        which operation, with what, by whom
                      recorder    every call is kept
                      faults      ... and may be spoiled on purpose
                      policies    may the caller do that
                      operations  SageMaker, its runtime and CloudWatch Logs: ours
                        |-- validation                    as the service checks a request
                        |-- training, transform           jobs, which run `programs` on files from `storage`
                        |-- endpoints, marketplace, tags
                      moto        S3, STS and everything else

Names, limits, states and texts are those of the service as far as they are known; where they are not, the
wording is ours, and no test should hold the library to it.
"""

from tests.emulator.server import Emulator

__all__ = ["Emulator"]
