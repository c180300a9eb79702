"""What publishing a problem runs on hosts; the variables are set by `problem.py`.

shared/problems/NAME/ID/        a version: kit/, data/ when it lies apart, digest
shared/problems/NAME/current    a link to the version that is served
shared/ramp-kits/NAME           a link to current/kit, and ramp-data/NAME one to current/data:
                                one rename changes both
"""

NAMES = """
umask 022
served=$was # before what was there by hand became a version
place=shared/problems/$name
parts="ramp-kits/$name:kit ramp-data/$name:data"
ours() { echo "../problems/$name/current/${1#*:}"; }
link_of() { echo "shared/${1%:*}"; }
is_foreign() { # PART: something that was put there by hand
    [ -e "$(link_of "$1")" ] && [ "$(readlink "$(link_of "$1")" || true)" != "$(ours "$1")" ]
}
put_link() { # TO WHERE
    ln -sfn "$1" "${2%/*}/.${2##*/}.new"
    mv -fT "${2%/*}/.${2##*/}.new" "$2"
}
activate() { put_link "$1" "$place/current"; }
[ ! -d "$place/before-$id" ] || was=before-$id
"""

AS_WORKER = """
as_worker() { # CODE ARGUMENTS...: Python of the release that serves, with its settings
    release=$(readlink -f current)
    script='set -a; . "$0/etc/worker.env"; cd "$0"; exec .venv/bin/python -c "$@"'
    set -- sh -euc "$script" "$release" "$@"
    [ -z "$worker_user" ] ||
        set -- setpriv --reuid="$worker_user" --regid="$worker_user" --init-groups -- "$@"
    PYTHONPATH=$release PYTHONDONTWRITEBYTECODE=1 "$@"
}
"""

SEE = """
cd "$home" 2>/dev/null || exit 0
fact() { printf '@%s %s\\n' "$1" "$2"; }
listing() { # FOLDER NAMES...
    cd "$1" 2>/dev/null || return 0
    shift
    find -L "$@" \\( -name .git -o -name __pycache__ -o -name .ipynb_checkpoints \\) -prune \\
        -o -type f -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0r sha256sum -z
}
fact version "$(readlink "$place/current" || true)"
foreign=; for part in $parts; do ! is_foreign "$part" || foreign=yes; done
if [ -z "$foreign" ]; then
    [ ! -e "$place/current/digest" ] || fact digest "$(cat "$place/current/digest")"
else
    fact foreign yes
    [ "$wants_digest" = 0 ] || fact digest "$({
        (listing "shared/ramp-kits/$name" ./problem.py ./external_imports ./data)
        printf '\\0'
        (listing "shared/ramp-data/$name" .)
    } | sha256sum | cut -c -64)"
fi
"""

ASK = """
cd "$home" 2>/dev/null || exit 0
[ ! -e current/etc/worker.env ] || as_worker "$code" "$name"
"""

EVENTS = """
import sys
from sqlalchemy import select
from databoard import config, database
from databoard.model.event import Event
from databoard.model.problem import Problem

engine = database.open_engine(config.load().db_url)
if database.current_revision(engine):
    wanted = select(Event.name).join(Problem).where(Problem.name == sys.argv[1])
    with engine.execution_options(reads_only=True).connect() as connection:
        for name in connection.scalars(wanted.order_by(Event.id)):
            print("@event", name)
"""

UPLOAD = """
exchange() { # A B: of two names in one moment
    python3 -ISc 'import ctypes, os, sys
a, b = map(os.fsencode, sys.argv[1:])
sys.exit(ctypes.CDLL(None).renameat2(-100, a, -100, b, 2) != 0)' "$1" "$2" 2>/dev/null && return
    mv -T "$2" "$2.new"; mv -T "$1" "$2"; mv -T "$2.new" "$1" # on a disk that cannot
}
adopt() { # what was put there by hand becomes a version, and is served all the time
    old=$place/before-$id
    mkdir "$old"
    for part in $parts; do
        if ! is_foreign "$part"; then
            [ ! -e "$place/current/${part#*:}" ] || ln -s "../$was/${part#*:}" "$old/${part#*:}"
        elif [ -L "$(link_of "$part")" ]; then
            ln -s "$(readlink -f "$(link_of "$part")")" "$old/${part#*:}"
        else
            ln -s "$(ours "$part")" "$old/${part#*:}" # changes places with the folder
        fi
    done
    activate "before-$id"
    for part in $parts; do
        is_foreign "$part" || continue
        if [ -L "$(link_of "$part")" ]; then
            put_link "$(ours "$part")" "$(link_of "$part")"
        else
            exchange "$(link_of "$part")" "$old/${part#*:}"
        fi
    done
}
mkdir -p "$place"
if [ -n "$worker_user" ]; then
    [ -d shared/ramp-kits ] ||
        install -d -m 755 -o "$worker_user" -g "$worker_user" shared/ramp-kits
    [ -d shared/ramp-data ] ||
        install -d -m 750 -o "$worker_user" -g "$worker_user" shared/ramp-data
else
    mkdir -p shared/ramp-kits shared/ramp-data
fi
if [ "$(readlink "$place/current" || true)" != "$was" ]; then
    echo "Somebody published $name just now."
    exit 1
fi
rm -rf "$place"/*.partial
foreign=; for part in $parts; do ! is_foreign "$part" || foreign=yes; done
[ -z "$foreign" ] || adopt
mkdir -m 700 "$place/$id.partial"
"""

PREPARE = """
if [ -n "$worker_user" ]; then
    # Files may be those of the version that is served: what is right there is not changed.
    chown -R root "$place/$id.partial"
    for path in data $private; do
        [ ! -e "$place/$id.partial/$path" ] ||
            chgrp -R "$worker_user" "$place/$id.partial/$path"
    done
fi
chmod 755 "$place/$id.partial"
mv -T "$place/$id.partial" "$place/$id"
"""

TRY = """
[ -e current/etc/worker.env ] || exit 0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
ln -s "$home/$place/$id/kit" "$folder/$name"
data=$home/$place/$id/data
[ -d "$data" ] || data=$folder/$name
as_worker "$code" "$folder/$name" "$data" "$requirements"
"""

LOAD = """
import sys
from pathlib import Path
from databoard import config, environments, kits
from databoard.errors import DataboardError

kit, data, requirements = sys.argv[1:]
python = environments.python_of(config.load(), requirements or None)
if not python.exists():
    sys.exit(0)  # it is made with the event, which loads the kit in it
try:
    kits.look_at(Path(kit), Path(data), python)
except DataboardError as error:
    sys.exit(str(error))
"""

SWITCH = """
for part in $parts; do
    [ ! -e "$place/$id/${part#*:}" ] || put_link "$(ours "$part")" "$(link_of "$part")"
done
activate "$id"
if [ ! "shared/ramp-kits/$name/problem.py" -ef "$place/$id/kit/problem.py" ]; then
    echo "shared/ramp-kits/$name does not lead to shared/problems/$name."
    exit 1
fi
"""

BACK = """
if [ -n "$was" ]; then
    activate "$was"
else
    for part in $parts; do
        [ "$(readlink "$(link_of "$part")" || true)" != "$(ours "$part")" ] ||
            rm -f "$(link_of "$part")"
    done
    rm -f "$place/current"
fi
"""

REMOVE = """
rm -rf "$place/$id.partial"
[ "$(readlink "$place/current" || true)" = "$id" ] || rm -rf "$place/$id"
"""

PRUNE = """
for folder in "$place"/*/; do
    version=$(basename "$folder")
    case $version in
    current | "$id" | "$was" | "$served") ;;
    *) rm -rf "$place/$version" ;;
    esac
done
for part in $parts; do
    [ -e "$(link_of "$part")" ] || rm -f "$(link_of "$part")"
done
"""
