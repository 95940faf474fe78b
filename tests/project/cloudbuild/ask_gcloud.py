"""Runs inside the Google Cloud SDK's own Python: what `gcloud builds submit` says of build files before it uploads anything.

`ask_gcloud.py SDK`: build files as a JSON list of texts on stdin; a JSON list of complaints, empty where it has none, on
stdout. No network is needed. `ask_gcloud.py SDK fields`: the fields of every message of a build, as it knows them.
"""

import io
import json
import os
import sys
import warnings

sys.path[:0] = [os.path.join(sys.argv[1], "lib"), os.path.join(sys.argv[1], "lib", "third_party")]
warnings.simplefilter("ignore")

from googlecloudsdk.api_lib.cloudbuild import cloudbuild_util, config  # noqa: E402

messages = cloudbuild_util.GetMessagesModule()


def fields(message, found):
    if message.__name__ not in found:
        found[message.__name__] = sorted(field.name for field in message.all_fields())
        for field in message.all_fields():
            if hasattr(field, "message_type"):
                fields(field.message_type, found)
    return found


def complaint(text):
    try:
        config.LoadCloudbuildConfigFromStream(io.StringIO(text), messages, None, "cloudbuild.yaml")
    except BaseException as error:
        return "%s: %s" % (type(error).__name__, error)
    return ""


if len(sys.argv) > 2:
    print(json.dumps(fields(messages.Build, {})))
else:
    print(json.dumps([complaint(text) for text in json.load(sys.stdin)]))
