"""Why a build or a service failed."""
