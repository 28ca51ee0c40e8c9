#!/usr/bin/env bash
# A participant with curl alone (and jq to take JSON apart): it does whatever it is asked, once.
#
# usage: participant.sh URL AGENT FOLDER
#
# FOLDER keeps its marks, one file for each idempotency key, so it can be killed and started again.
# An input `fail` makes a do fail with that code, not to be retried.
set -euo pipefail
url=$1 agent=$2 marks=$3
mkdir -p "$marks"

header() { jq -r --arg name "$1" '.headers[$name] // empty' <<<"$command"; }

# Sets type and value: the answer to $command. A mark is written before it is answered.
decide() {
  local key mark epochs seen epoch appended
  key=$(header pavane_idempotency_key | sha256sum | cut -d ' ' -f 1)
  mark=$marks/$key
  epochs=$marks/epoch-$(printf %s "$(header ce_subject)" | sed 's|/[^/]*/[^/]*$||' | sha256sum | cut -d ' ' -f 1)-$(header pavane_run)
  epoch=$(header pavane_epoch)
  seen=$(cat "$epochs" 2>/dev/null || echo 0)
  [ "$epoch" -le "$seen" ] || echo "$epoch" >"$epochs"
  appended=$(jq -r .timestamp <<<"$command")
  type=pavane.TaskFailed
  case $(header ce_type) in
    pavane.DoTask)
      if [ -e "$mark.undone" ]; then
        value='{"code": "already_undone", "message": "it was undone", "retryable": false}'
      elif [ -e "$mark" ]; then
        type=pavane.TaskCompleted value=$(cat "$mark")
      elif [ "$epoch" -lt "$seen" ]; then
        value='{"code": "superseded", "message": "the workflow compensates", "retryable": false}'
      elif [[ $appended > $(header pavane_deadline) ]]; then
        value='{"code": "expired", "message": "it came too late"}'
      elif jq -e '.value.fail? // empty' <<<"$command" >/dev/null; then
        value=$(jq -c '{code: .value.fail, message: "as asked", retryable: false}' <<<"$command")
      else
        type=pavane.TaskCompleted value=$(jq -c '{by: "curl", given: .value}' <<<"$command")
        printf %s "$value" >"$mark.new" && mv "$mark.new" "$mark"
      fi ;;
    pavane.UndoTask)
      touch "$mark.undone"
      value=null type=pavane.NothingToUndo
      [ ! -e "$mark" ] || { type=pavane.TaskCompleted value='{"undone": true}'; } ;;
    pavane.QueryTask)
      type=pavane.TaskStatus value='{"status": "not_done"}'
      [ ! -e "$mark" ] || value=$(jq -c '{status: "done", output: .}' "$mark") ;;
    *) type= ;;
  esac
}

echo ready
while true; do
  commands=$(curl -fsS "$url/v1/agents/$agent/commands?wait=10s&max=10") || { sleep 0.2; continue; }
  jq -c '.items[]' <<<"$commands" | while read -r command; do
    decide
    [ -n "$type" ] || continue
    jq -n --arg type "$type" --arg subject "$(header ce_subject)" --argjson value "$value" \
      '{type: $type, subject: $subject, value: $value}' |
      curl -fsS "$url/v1/agents/$agent/answers" -H 'content-type: application/json' -d @- >/dev/null ||
      true # What was not answered comes again.
  done
done
