"""Runs inside the Google Cloud SDK's own Python: the archive that `gcloud builds submit` would upload, by its own code.

`ask_gcloud.py SDK FOLDER FILE`: writes the archive to FILE, and prints its members as JSON, folders with a final slash. No
network is needed.
"""

import json
import os
import sys
import tarfile

sys.path[:0] = [os.path.join(sys.argv[1], "lib"), os.path.join(sys.argv[1], "lib", "third_party")]

from googlecloudsdk.api_lib.cloudbuild import snapshot  # noqa: E402

os.chdir(sys.argv[2])  # as `gcloud builds submit .` does
made = snapshot.Snapshot(".")
made._MakeTarball(sys.argv[3]).close()
with tarfile.open(sys.argv[3]) as tar:
    print(json.dumps(sorted(one.name + ("/" if one.isdir() else "") for one in tar)))
