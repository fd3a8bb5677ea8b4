# SPDX-License-Identifier: Apache-2.0
"""The shell functions that the scripts of `curl_script` begin with.

POSIX: dash, bash and busybox run them; besides curl they need the utilities of every system. What a server
replies is compared, cut and written, and never read as code.
"""

from __future__ import annotations

START = r"""set -eu
umask 077

say() { printf '%s\n' "$*" | tr -d '\000-\010\013-\037\177' >&2; }
fail() {
    say "error: $*"
    exit 1
}
need() { [ -n "$2" ] || fail "Set the environment variable $1: $3."; }
"""

SETUP = r"""
command -v curl >/dev/null || fail 'curl is not installed.'
work=$(mktemp -d)
reader=
failures=0
also=2
finish() {
    [ -z "$reader" ] || kill "$reader" 2>/dev/null || :
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM
: >"$work/headers"
: >"$work/cookies"

# Secrets go through files, because every user of a machine sees the arguments of a command.
header() { printf '%s: %s\n' "$1" "$2" >>"$work/headers"; }

fresh() { od -An -N8 -tx1 /dev/urandom | tr -d ' \n'; }

reply_head() { cut -c 1-500 "$work/reply" | head -n 5; }

# ask URL CURL-ARGUMENT...: one request. Its reply is in $work/reply; other statuses than 2xx end the script.
ask() {
    url=$1
    shift
    status=$(curl -sS -g --proto '=http,https' -o "$work/reply" -w '%{http_code}' -H @"$work/headers" \
        -b "$work/cookies" -c "$work/cookies" --connect-timeout 30 -m "${MAX_TIME:-0}" "$@" "$url") ||
        fail "No reply from ${url#"$BASE"}. Is the server running, and BASE right?"
    case $status in
        2?? | "$also"??) ;;
        *) fail "${url#"$BASE"} answered with HTTP status $status: $(reply_head)" ;;
    esac
}

get() {
    say "> GET ${1#"$BASE"}"
    ask "$1"
}

# post URL BODY. The body goes through a pipe, because the arguments of a command are bounded.
post() {
    say "> POST ${1#"$BASE"}"
    printf '%s' "$2" | ask "$1" -H 'content-type: application/json' --data-binary @-
}

show_reply() {
    cat "$work/reply"
    echo
}

# field NAME: a text of the reply that may go into a URL.
field() {
    value=$(sed -n 's/.*"'"$1"'" *: *"\([^"\\]*\)".*/\1/p' "$work/reply" | head -n 1)
    case $value in
        '' | *[!0-9A-Za-z_-]*) fail "The reply has no $1: $(reply_head)" ;;
    esac
    printf '%s' "$value"
}
"""

ENDED = r"""
ended() {
    case $outcome in
        completed) say '< completed' ;;
        cancelled) say '< cancelled' ;;
        *)
            say '< failed'
            failures=$((failures + 1))
            ;;
    esac
}
"""

JSON_TEXT = r"""
# json_text TEXT: a text within a JSON string.
json_text() {
    case $1 in
        *[[:cntrl:]]*) fail 'A redacted value cannot have line ends or control characters.' ;;
    esac
    printf '%s' "$1" | sed 's/[\\"]/\\&/g'
}
"""

LOGIN = r"""
login() {
    say "> POST ${1#"$BASE"} (login)"
    printf '%s' "$GRADIO_USER" >"$work/user"
    printf '%s' "$GRADIO_PASSWORD" >"$work/password"
    also=3 # servers of 2.x redirect to the page
    ask "$1" --data-urlencode "username@$work/user" --data-urlencode "password@$work/password"
    also=2
    rm "$work/user" "$work/password"
}
"""

UPLOAD = r"""
# upload URL FILE...: send files. The reply is a list of their paths on the server.
upload() {
    url=$1
    shift
    say "> POST ${url#"$BASE"} (upload)"
    for file do
        [ -r "$file" ] || fail "The file $file cannot be read."
        set -- "$@" -F "files=@\"$(printf '%s' "$file" | sed 's/[\\"]/\\&/g')\""
        shift
    done
    ask "$url" "$@"
}

# uploaded N: path N of the reply, as it is within a JSON string.
uploaded() {
    path=$(sed 's/^ *\[ *"//; s/" *] *$//; s/" *, *"/\
/g' "$work/reply" | sed -n "$1p")
    [ -n "$path" ] || fail "The reply to the upload has no path $1: $(reply_head)"
    printf '%s' "$path"
}
"""

STREAM = r"""
# open_stream URL CURL-ARGUMENT...: read a stream of server-sent events, in the background.
open_stream() {
    url=$1
    shift
    say "> stream ${url#"$BASE"}"
    rm -f "$work/stream"
    mkfifo "$work/stream"
    curl -sSN -g --proto '=http,https' -D "$work/head" -H @"$work/headers" -H 'accept: text/event-stream' \
        -b "$work/cookies" --connect-timeout 30 -m "${MAX_TIME:-0}" "$@" "$url" \
        >"$work/stream" 2>"$work/complaint" &
    reader=$!
    exec 3<"$work/stream"
    last=
    outcome=
    messages=0
}

# next_line: the next line of the stream, in $line. The end of the stream ends the script.
next_line() {
    line=
    IFS= read -r line <&3 || [ -n "$line" ] || lost
    case $line in
        *[[:cntrl:]]*) line=$(printf '%s' "$line" | tr -d '[:cntrl:]') ;;
    esac
    [ -z "$line" ] || last=$line
}

lost() {
    wait "$reader" || :
    reader=
    status=$(sed -n '1s/^[^ ]* //p' "$work/head" 2>/dev/null | tr -d '\r') || :
    fail "The stream ended before the call did (HTTP status ${status:-unknown})." \
        "$(cat "$work/complaint")" "Its last line: $(printf '%s' "$last" | cut -c 1-500)"
}

close_stream() {
    kill "$reader" 2>/dev/null || :
    wait "$reader" 2>/dev/null || :
    reader=
    exec 3<&-
}
"""

QUEUE = r"""
# read_message: print a message of the queue, and set $outcome if it is the last. $success comes after the
# outputs, so it is the last one in the line; quotes within texts are escaped.
read_message() {
    printf '%s\n' "$message"
    messages=$((messages + 1))
    case $message in
        '{"msg":"process_completed"'* | '{"msg": "process_completed"'*)
            rest=${message##*'"success":'}
            case $rest in
                true* | ' true'*) outcome=completed ;;
                *) outcome=failed ;;
            esac
            ;;
        '{"msg":"queue_full"'* | '{"msg": "queue_full"'*) outcome=failed ;;
        '{"msg":"unexpected_error"'* | '{"msg": "unexpected_error"'*) outcome=failed ;;
    esac
}
"""

FOLLOW_QUEUE = r"""
# follow_queue: print the messages of the call $event until it ends. Its session's stream has others too.
follow_queue() {
    on_message
    while [ -z "$outcome" ]; do
        next_line
        message=${line#data:}
        message=${message# }
        case $line in
            data:*'"event_id":"'"$event"'"'* | data:*'"event_id": "'"$event"'"'*) ;;
            'data: {"msg":"unexpected_error"'* | 'data: {"msg": "unexpected_error"'*) ;;
            *) continue ;;
        esac
        read_message
        [ -n "$outcome" ] || on_message
    done
    close_stream
    ended
}
"""

FOLLOW_JOIN = r"""
# follow_join: print the messages of the stream until the call ends; send the data when the server wants it.
follow_join() {
    on_message
    while [ -z "$outcome" ]; do
        next_line
        message=${line#data:}
        message=${message# }
        case $line in
            'data: {"msg":"heartbeat"'* | 'data: {"msg": "heartbeat"'*) continue ;;
            data:*) read_message ;;
            *) continue ;;
        esac
        case $message in
            '{"msg":"send_data"'* | '{"msg": "send_data"'*)
                printf '%s\n' "$message" >"$work/reply"
                event=$(field event_id)
                send_data
                ;;
        esac
        [ -n "$outcome" ] || on_message
    done
    close_stream
    ended
}
"""

FOLLOW_CALL = r"""
# follow_call: print the data of the events of the stream until the call ends.
follow_call() {
    kind=message
    on_message
    while [ -z "$outcome" ]; do
        next_line
        case $line in
            event:*)
                kind=${line#event:}
                kind=${kind# }
                continue
                ;;
            data:*) ;;
            *) continue ;;
        esac
        [ "$kind" != heartbeat ] || continue
        message=${line#data:}
        printf '%s\n' "${message# }"
        messages=$((messages + 1))
        case $kind in
            complete) outcome=completed ;;
            error) outcome=failed ;;
            *) on_message ;;
        esac
    done
    close_stream
    ended
}
"""

FOLLOW_CHAT = r"""
# follow_chat: print the chunks of an answer until [DONE].
follow_chat() {
    while [ -z "$outcome" ]; do
        next_line
        message=${line#data:}
        message=${message# }
        case $line in
            'data: [DONE]' | 'data:[DONE]') outcome=completed ;;
            'data: {"error"'* | 'data:{"error"'*)
                printf '%s\n' "$message"
                outcome=failed
                ;;
            data:*) printf '%s\n' "$message" ;;
        esac
    done
    close_stream
    ended
}
"""

POLL = r"""
# poll URL: ask for the state of the job $job each second until it ends.
poll() {
    outcome=
    while [ -z "$outcome" ]; do
        post "$1" '{"hash":"'"$job"'"}'
        # At the start, or at the end: the first servers sort the keys. What the app returns is in between.
        case $(cut -c 1-40 "$work/reply")$(tail -c 40 "$work/reply") in
            *'"status":"COMPLETE"'* | *'"status": "COMPLETE"'*) outcome=completed ;;
            *'"status":"QUEUED"'* | *'"status": "QUEUED"'*) sleep 1 ;;
            *'"status":"PENDING"'* | *'"status": "PENDING"'*) sleep 1 ;;
            *) outcome=failed ;;
        esac
    done
    show_reply
    ended
}
"""

STEPS = r"""
# post_steps URL BODY MOST: a generator answers each request with its next value, MOST times at most.
post_steps() {
    left=$3
    outcome=
    while [ -z "$outcome" ]; do
        post "$1" "$2"
        left=$((left - 1))
        rest=$(sed 's/.*"is_generating" *: *//' "$work/reply")
        case $rest in
            true*)
                show_reply
                [ "$left" -ne 0 ] || outcome=cancelled
                ;;
            *) outcome=completed ;;
        esac
    done
    show_reply
    ended
}
"""

END = r"""
[ "$failures" -eq 0 ] || fail "$failures of the calls failed."
"""
