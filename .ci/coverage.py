"""Share of the lines of src/ that the tests run: a table, and a failure if it is too small.

    python3 .ci/coverage.py DIRECTORY LEAST_PERCENT

DIRECTORY holds what the instrumented tests wrote: built.json (the compiler's messages) and *.profraw.
"""

import json
import pathlib
import subprocess
import sys

directory, least = pathlib.Path(sys.argv[1]), float(sys.argv[2])
here = pathlib.Path(__file__).resolve().parent.parent


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


tools = pathlib.Path(run("rustc", "--print", "target-libdir").strip()).parent / "bin"
messages = [json.loads(line) for line in (directory / "built.json").read_text().splitlines() if line.startswith("{")]
programs = [message["executable"] for message in messages if message.get("executable")]
profile = directory / "tests.profdata"
# What a test killed in the middle of a write is damaged, and left out.
profiles = map(str, directory.glob("*.profraw"))
run(str(tools / "llvm-profdata"), "merge", "-sparse", "-failure-mode=all", "-o", str(profile), *profiles)
objects = [word for program in programs[1:] for word in ("-object", program)]
exported = run(str(tools / "llvm-cov"), "export", "-summary-only", f"-instr-profile={profile}", programs[0], *objects)

folders, total = {}, [0, 0]
for file in json.loads(exported)["data"][0]["files"]:
    path = pathlib.Path(file["filename"])
    if not path.is_relative_to(here / "src"):
        continue
    inside = path.relative_to(here)
    folder = "/".join(inside.parts[:-1][:3])
    lines = file["summary"]["lines"]
    for sums in (folders.setdefault(folder, [0, 0]), total):
        sums[0] += lines["covered"]
        sums[1] += lines["count"]

for folder, (covered, count) in sorted(folders.items()):
    print(f"{100 * covered / count:6.1f} %  {covered:6d} of {count:6d}  {folder}")
percent = 100 * total[0] / total[1]
print(f"{percent:6.1f} %  {total[0]:6d} of {total[1]:6d}  all of src/")
if percent < least:
    sys.exit(f"ci: {percent:.1f} % of the lines of src/ are run by the tests, expected at least {least:.0f} %")
