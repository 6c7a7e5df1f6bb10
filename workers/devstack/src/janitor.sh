# Clears up after the owner of a nodes folder, in whatever way that owner ended.
#
# Standard input is a pipe whose other end the owner alone holds, so its end of file is the owner's end:
# by a return, a panic, a signal or SIGKILL. The kernel ends the owner's children at the same moment
# (parent-death signals); what this script ends is only what slipped through.
trap '' HUP INT TERM
cat >/dev/null

# runs PID START: does that very process still run? (Fields 3 and 22 of the line: state, start time.)
runs() {
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    set -- "$2" ${stat##*) }
    [ "$2" != Z ] && [ "${21}" = "$1" ]
}

round=0
while [ $round -lt 100 ]; do
    living=
    for record in "$FOLDER"/processes/*; do
        [ -f "$record" ] || continue
        read -r pid started <"$record" && runs "$pid" "$started" && living="$living $pid"
    done
    # Three seconds are for PostgreSQL's own quick way out, which leaves no shared memory behind.
    [ $round -lt 30 ] || [ -z "$living" ] || kill -KILL $living
    # A process in its last breath may still add a file: then this fails and the next round succeeds.
    [ -n "$living" ] || ! rm -rf -- "$FOLDER" || exit 0
    round=$((round + 1))
    sleep 0.1
done
exit 1
