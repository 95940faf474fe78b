"""Why a build or a service failed."""

from buildguard import make_callable

make_callable(__name__)
