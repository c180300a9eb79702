#!/bin/bash
# The floor: one shared OpenSSH connection per host, rsync and a command over it, side by side.
# floor.sh KEY KNOWN_HOSTS SOURCE DESTINATION COMMAND ADDRESS...     (SOURCE "" pushes nothing)
set -u
key=$1 known=$2 source=$3 destination=$4 command=$5
shift 5
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

one() {
    ssh="ssh -F none -i $key -o BatchMode=yes -o StrictHostKeyChecking=yes"
    ssh="$ssh -o UserKnownHostsFile=$known -S $folder/%h"
    if [ -n "$source" ]; then
        $ssh -o ControlMaster=yes -o ControlPersist=30 "root@$1" true &&
            rsync -a -e "$ssh" "$source/" "root@$1:$destination/" &&
            $ssh "root@$1" "$command"
        code=$?
        $ssh -O exit "root@$1" 2>/dev/null
        return $code
    fi
    $ssh "root@$1" "$command"
}

pids=()
for address; do
    one "$address" &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || exit 1; done
