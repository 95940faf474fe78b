from buildguard.api import check as check
from buildguard.api import deploy as deploy
from buildguard.api import diagnose as diagnose
from buildguard.api import diff as diff
from buildguard.api import fix as fix
from buildguard.api import manifest as manifest
from buildguard.check.fix import FixReport as FixReport
from buildguard.check.result import CheckReport
from buildguard.compare.chain import Chain as Chain
from buildguard.deploy.run import DeployReport as DeployReport
from buildguard.diagnose.hypotheses import Diagnosis as Diagnosis
from buildguard.diagnostic import Diagnostic as Diagnostic
from buildguard.diagnostic import Severity as Severity
from buildguard.diagnostic import Unproven as Unproven
from buildguard.errors import GuardError as GuardError
from buildguard.errors import Reason as Reason
from buildguard.errors import UnprovenError as UnprovenError
from buildguard.errors import UsageError as UsageError
from buildguard.stages.manifest import Manifest as Manifest

__version__: str
Report = CheckReport

def make_callable(package: str) -> None: ...
