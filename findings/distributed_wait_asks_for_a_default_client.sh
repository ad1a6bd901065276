#!/usr/bin/env bash
# distributed 2026.8.0: futures of a Client that was made with set_as_default=False, as a library
# does that must not change its caller's, are gathered by that client, but `wait` and `as_completed`
# of the same futures raise ValueError, "No clients found": both look for a default client, although
# every future holds its own (`future.client`). A careful guess would be that functions of futures
# ask these. With `client.as_current()` around them both work.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "distributed==2026.8.0"
cat > "$work/run.py" <<'PYTHON'
import distributed
from distributed import Client, LocalCluster, as_completed, wait

print("distributed", distributed.__version__)
assert distributed.__version__ == "2026.8.0"
local = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
with local as cluster, Client(cluster, set_as_default=False) as client:
    futures = client.map(abs, [-1, -2])
    assert all(future.client is client for future in futures)
    assert client.gather(futures) == [1, 2]
    for name, use in (("wait", wait), ("as_completed", lambda all_: list(as_completed(all_)))):
        try:
            use(futures)
        except ValueError as error:
            line = str(error).splitlines()[0]
        else:
            raise SystemExit(f"{name} found the futures' own client")
        print(f"{name}: ValueError, {line}")
        assert line == "No clients found"
    with client.as_current():
        assert len(wait(futures).done) == 2
        assert len(list(as_completed(futures))) == 2
print("wait and as_completed do not ask the futures for their client")
PYTHON
cd "$work" && "$work/venv/bin/python" run.py
