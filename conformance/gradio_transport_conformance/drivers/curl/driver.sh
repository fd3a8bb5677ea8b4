#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A driver of curl with jq, using the documented /call API of Gradio 4.20 and newer: answers the tasks of the
# conformance run. It reads JSON lines on standard input and writes its answers on standard output.
#
# A call is a POST of its data and a GET of its events. Features that this API lacks are answered with "cannot".

set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
carriage_return=$(printf '\r')

# Prints a step's error: kind, text.
error() { jq -cn --arg kind "$1" --arg message "$2" '{error: {kind: $kind, message: $message}}'; }

# Prints the meaning of curl's exit status for a step: status, the action.
curl_error() {
    case $1 in
    28) error timeout "curl: no answer in time while $2" ;;
    *) error lost "curl ended with status $1 while $2" ;;
    esac
}

# Prints the fields of a folder's step as shell variables: `reason` says why the API does not support it, if it
# does not.
variables_of() {
    jq -r --slurpfile tasks "$work/task" --slurpfile configs "$work/config" '
        ($configs[0] | (.version // "" | split(".") | map(tonumber? // 0)) >= [6, 18]) as $with_sessions
        | ($configs[0].components | map(select(.type == "state") | .id)) as $states
        | (.endpoint // "" | ltrimstr("/")) as $name
        | (first(($configs[0].dependencies[] | select(.api_name == $name) | .inputs), []) | any(IN($states[])))
            as $has_state
        | (if $tasks[0].protocol | IN("auto", "call", null) | not then "the driver speaks the /call API only"
        elif .event_data != null then "/call has no event data"
        elif .send != null then "/call cannot send more inputs to a running call"
        elif .cancel_after == 0 then "/call does not say that the function runs"
        elif .component_function == null and .endpoint == null then "/call needs an endpoint with a name"
        elif $with_sessions then ""
        elif $has_state then "/call keeps no session before Gradio 6.18"
        elif .fn_index == null and .endpoint != null then "/call finds no session before Gradio 6.18"
        else "" end) as $reason
        | @sh "reason=\($reason) component=\(.component_function != null) keep=\(.keep == true)",
          @sh "name=\($name | @uri) cancel_after=\(.cancel_after) with_sessions=\($with_sessions)",
          @sh "with_files=\([.data | .. | objects | has("$file")] | any)"' "$1/step"
}

# Prints the seconds that are left of the time of the group, at least 1.
left() {
    rest=$((ends - $(date +%s)))
    if [ "$rest" -gt 0 ]; then echo "$rest"; else echo 1; fi
}

# Runs curl with the cookies of the task, within the deadline of a step, and returns its exit status.
fetch() { curl -sS -g --max-time "$(left)" -b "$jar" "$@"; }

# Posts a JSON file and prints the status: file, file of the reply, address.
post() { fetch -o "$2" -w '%{http_code}' -H 'content-type: application/json' --data-binary "@$1" "$3"; }

# Replaces values that equal the value of a file: file, file of the old value, file of the new value.
replace() {
    jq -c --slurpfile old "$2" --slurpfile new "$3" \
        'setpath(first(paths(objects) as $path | select(getpath($path) == $old[0]) | $path); $new[0])' \
        "$1" >"$1.next" && mv "$1.next" "$1"
}

# Uploads the files in the body of a folder, and replaces them by the server's answers.
upload_files() {
    [ "$with_files" = true ] || return 0
    while jq -ce 'first(.. | objects | select(has("$file")))' "$1/body" >"$1/file"; do
        jq -r '."$file".base64' "$1/file" | base64 -d >"$1/content"
        escaped=$(jq -r '."$file".name' "$1/file" | sed 's/["\\]/\\&/g')
        status=$(fetch -o "$1/uploaded" -w '%{http_code}' -F "files=@$1/content;filename=\"$escaped\"" "$api/upload")
        curl_status=$?
        [ $curl_status -eq 0 ] || { curl_error $curl_status "uploading" >"$1/answer"; return 1; }
        [ "$status" = 200 ] || { error refused "upload: status $status: $(head -c 500 "$1/uploaded")" >"$1/answer"; return 1; }
        jq -c --slurpfile file "$1/file" \
            '{path: .[0], orig_name: $file[0]."$file".name, meta: {_type: "gradio.FileData"}}' "$1/uploaded" >"$1/data"
        replace "$1/body" "$1/file" "$1/data" || return 1
    done
}

# Prints the outputs of a JSON file with the content of the server's files: file, folder.
read_files() {
    cp "$1" "$2/value"
    while grep -q '"orig_name"\|gradio.FileData' "$2/value" &&
        jq -ce 'first(.. | objects | select(.meta?._type? == "gradio.FileData" or (has("path") and has("orig_name"))))' \
            "$2/value" >"$2/file" 2>/dev/null; do
        # Not its `url`, which on old servers may contain spaces.
        address=$(jq -r --arg api "$api" '.path | if test("^https?://") then . else
            $api + "/file=" + (split("/") | map(@uri) | join("/")) end' "$2/file")
        status=$(fetch -L -o "$2/content" -w '%{http_code}' "$address")
        curl_status=$?
        [ $curl_status -eq 0 ] || { curl_error $curl_status "reading a file"; return 1; }
        [ "$status" = 200 ] || { error lost "reading a file: status $status"; return 1; }
        base64 -w 0 "$2/content" >"$2/content.base64"
        jq -c --rawfile content "$2/content.base64" \
            '{"$file": {name: (.orig_name // (.path | split("/") | last)), base64: $content}}' "$2/file" >"$2/data.read"
        replace "$2/value" "$2/file" "$2/data.read" || return 1
    done
    cat "$2/value"
}

# Splits a stream of events into files of one event each, as they arrive: folder.
read_events() {
    : >"$1/yields"
    event=""
    while IFS= read -r line; do
        line=${line%"$carriage_return"}
        case $line in
        "event: "*) event=${line#event: } ;;
        "data: "*)
            case $event in
            generating)
                printf '%s\n' "${line#data: }" >>"$1/yields"
                if [ "$cancel_after" != null ] && [ "$(wc -l <"$1/yields")" -ge "$cancel_after" ]; then
                    : >"$1/cancelled"
                    return
                fi
                ;;
            complete | error)
                printf '%s' "$event" >"$1/event"
                printf '%s\n' "${line#data: }" >"$1/data"
                return
                ;;
            esac
            ;;
        esac
    done
}

# Makes the request body of a folder from its step, or its answer if nothing is sent: folder, size of the group.
prepare() {
    reason="" with_files="" with_sessions="" name=""
    eval "$(variables_of "$1")"
    if [ -n "$reason" ]; then
        jq -cn --arg reason "$reason" '{cannot: $reason}' >"$1/answer"
        return
    fi
    # Concurrent calls of one session would read each other's events. A call without a session has its own.
    if [ "$2" -gt 1 ]; then with_sessions=false; fi
    jq -c --arg prefix "$prefix" --argjson with_sessions "$with_sessions" --slurpfile kept "$work/kept" '
        {data: .data | walk(if type == "object" and has("$kept") then $kept[."$kept"] else . end)}
        + if $with_sessions or .component_function != null
          then {session_hash: ($prefix + (.session // "main" | @uri))} else {} end' "$1/step" >"$1/body"
    upload_files "$1" || return
    # Outputs of gr.State have no value for a caller.
    jq -c --arg name "$name" '[.components[] | select(.type == "state") | .id] as $states
        | first((.dependencies[] | select(.api_name == $name) | .outputs), [])
        | [range(length) as $place | select(.[$place] | IN($states[])) | [$place]]' "$work/config" >"$1/states"
}

# Answers the prepared step of a folder.
play() {
    component="" keep="" name="" cancel_after=""
    eval "$(variables_of "$1")"
    if [ "$component" = true ]; then call_component "$1"; else call "$1"; fi
}

# Calls a function of a component: folder.
call_component() {
    jq -c --slurpfile body "$1/body" '{data: $body[0].data[0], fn_name: .component_function,
        component_id: .component_id, session_hash: $body[0].session_hash}' "$1/step" >"$1/component"
    status=$(post "$1/component" "$1/reply" "$api/component_server/")
    curl_status=$?
    if [ $curl_status -ne 0 ]; then
        curl_error $curl_status "calling a component" >"$1/answer"
    elif [ "$status" != 200 ]; then
        error refused "status $status: $(head -c 500 "$1/reply")" >"$1/answer"
    else
        jq -c '{value: [.]}' "$1/reply" >"$1/answer"
    fi
}

# Calls an endpoint: folder.
call() {
    status=$(post "$1/body" "$1/joined" "$api/call/$name")
    curl_status=$?
    [ $curl_status -eq 0 ] || { curl_error $curl_status "joining the queue" >"$1/answer"; return; }
    [ "$status" = 200 ] || { error refused "status $status: $(head -c 500 "$1/joined")" >"$1/answer"; return; }
    event_id=$(jq -er '.event_id' "$1/joined" 2>/dev/null) ||
        { error lost "the reply to the call has no event_id" >"$1/answer"; return; }
    mkfifo "$1/stream"
    # Not buffered, so that yields come when they come. Ending it closes the stream, which cancels the call.
    curl -sS -g -f --no-buffer --max-time "$(left)" -b "$jar" "$api/call/$name/$event_id" \
        >"$1/stream" 2>"$1/complaint" &
    reader=$!
    read_events "$1" <"$1/stream"
    # It may have ended by itself.
    if [ -e "$1/event" ] || [ -e "$1/cancelled" ]; then kill "$reader" 2>/dev/null; fi
    wait "$reader" 2>/dev/null
    outcome $? "$1" >"$1/outcome"
    if grep -q '"orig_name"\|gradio.FileData' "$1/yields"; then
        while IFS= read -r data; do
            printf '%s\n' "$data" >"$1/yield"
            read_files "$1/yield" "$1"
        done <"$1/yields" >"$1/yields.read"
        mv "$1/yields.read" "$1/yields"
    fi
    jq -c --slurpfile yields "$1/yields" --slurpfile states "$1/states" '
        def visible: delpaths($states[0]);
        (if type == "array" then {value: visible} else . end) + {yields: ($yields | map(visible))}' "$1/outcome" >"$1/answer" 2>/dev/null || error lost "an event is no JSON" >"$1/answer"
}

# Prints what came of a call, its outputs or an error: curl's exit status, folder.
outcome() {
    if [ -e "$2/cancelled" ]; then
        error cancelled ""
    elif [ ! -e "$2/event" ]; then
        case $1 in
        0) error lost "the stream ended without a result" ;;
        22) error refused "$(cat "$2/complaint")" ;;
        *) curl_error "$1" "reading the events" ;;
        esac
    elif [ "$(cat "$2/event")" = error ]; then
        error app "$(jq -r 'if type == "object" then .error // .message // tostring elif . == null then "" else tostring end' "$2/data")"
    else
        if [ "$keep" = true ]; then
            # Older servers send files without `meta`.
            jq -c '.. | objects | select(.meta?._type? == "gradio.FileData" or (has("path") and has("orig_name")))' \
                "$2/data" >>"$work/kept"
        fi
        read_files "$2/data" "$2"
    fi
}

# Finds where the app has its API, and logs in. Prints an error if that fails.
connect() {
    if [ "$credentials" = true ]; then
        status=$(fetch -c "$jar" -o "$work/login" -w '%{http_code}' \
            --data-urlencode "username=$(jq -r .credentials.username "$work/task")" \
            --data-urlencode "password=$(jq -r .credentials.password "$work/task")" "$url/login")
        curl_status=$?
        [ $curl_status -eq 0 ] || { curl_error $curl_status "logging in"; return; }
        [ "$status" = 200 ] || { error refused "login: status $status: $(head -c 500 "$work/login")"; return; }
    fi
    status=$(fetch -o "$work/config" -w '%{http_code}' "$url/config")
    curl_status=$?
    [ $curl_status -eq 0 ] || { curl_error $curl_status "reading the config"; return; }
    [ "$status" = 200 ] || { error refused "config: status $status: $(head -c 500 "$work/config")"; return; }
    jq -e . "$work/config" >/dev/null 2>&1 || error lost "the config is no JSON"
}

# Answers the task in $work/task.
answer() {
    url="" seconds="" credentials="" sizes=""
    eval "$(jq -r '@sh "url=\(.url | rtrimstr("/")) seconds=\(.deadline // 20 | ceil)",
        @sh "credentials=\(.credentials != null) sizes=\([.groups[] | length | tostring] | join(" "))"' "$work/task")"
    ends=$(($(date +%s) + seconds))
    prefix=curl$$$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
    jar=$work/cookies
    rm -rf "$work"/step* "$jar"
    : >"$jar"
    : >"$work/kept"
    connect >"$work/failure"
    if [ -s "$work/failure" ]; then
        jq -c --slurpfile failure "$work/failure" '{type: "answer", id: .id, steps: [.groups[][] | $failure[0]]}' "$work/task"
        return
    fi
    api=$url$(jq -r '.api_prefix // ""' "$work/config")
    number=0
    for size in $sizes; do
        last=$((number + size))
        first=$number
        ends=$(($(date +%s) + seconds))
        while [ "$number" -lt "$last" ]; do
            here=$work/step$number
            mkdir "$here"
            jq -c --argjson number "$number" '[.groups[][]][$number]' "$work/task" >"$here/step"
            prepare "$here" "$size"
            number=$((number + 1))
        done
        number=$first
        while [ "$number" -lt "$last" ]; do
            [ -e "$work/step$number/answer" ] || play "$work/step$number" &
            number=$((number + 1))
        done
        wait
    done
    last=$number number=0
    while [ "$number" -lt "$last" ]; do
        cat "$work/step$number/answer" 2>/dev/null || error lost "the driver has no answer of curl"
        number=$((number + 1))
    done | jq -cs --slurpfile task "$work/task" '{type: "answer", id: $task[0].id, steps: .}'
}

for command in curl jq base64; do
    command -v "$command" >/dev/null || { echo "$command is not installed; the curl driver needs it." >&2; exit 1; }
done
while IFS= read -r message; do
    printf '%s\n' "$message" >"$work/task"
    case $(jq -r .type "$work/task") in
    hello)
        jq -cn --arg version "$(curl --version | head -n 1 | cut -d ' ' -f 2)" --arg language "sh, $(jq --version)" '{
            type: "hello", protocol: 1, name: "curl", version: $version, language: $language, features: ["auth",
            "cancel", "component", "files", "parallel", "protocol:call", "session_endpoints", "sessions", "yields"]}'
        ;;
    task) answer ;;
    esac
done
