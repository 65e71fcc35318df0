# Completion for rille(1) in bash. Options and a script's parameters are read from the command's own help.

# The long options in a help text.
_rille_options() {
  "$1" "${@:2}" --help 2>/dev/null | grep -oE '^ +(-[a-z], )?--[a-z][a-z0-9_-]*' | grep -oE -- '--[a-z0-9_-]+'
}

# The sub-command and the script on the command line so far, in `command` and `script`.
_rille_look() {
  local i
  for ((i = 1; i < cword; i++)); do
    case ${words[i]} in
    --) return 1 ;;
    --by | --crac | --every | --fd | --inode | --kind | -e | --eval | -p | --pid | --container | -n | --comm | -u | --uid | -d | --duration | -o | --output | --filter | --stack | --depth | --ring | \
      --limit | --format | --top | --fields | --timestamp | --color | --ready-fd | --object) ((i++)) ;;
    -*) ;;
    *) if [ -z "$command" ]; then command=${words[i]}; elif [ -z "$script" ]; then script=${words[i]}; fi ;;
    esac
  done
}

_rille_add() {
  local line
  while IFS= read -r line; do
    COMPREPLY+=("$line")
  done < <(compgen "$@" -- "$cur")
}

# What stands behind an option that takes a value; fails if the word before is no such option.
_rille_value() {
  case $1 in
  --color) _rille_reply -W 'auto always never' ;;
  --by) _rille_reply -W 'site fd' ;;
  --format) _rille_reply -W 'text jsonl csv perf-script top folded flamegraph speedscope pprof' ;;
  --stack) _rille_reply -W 'user kernel both' ;;
  --timestamp) _rille_reply -W 'time iso epoch delta none' ;;
  -u | --uid) _rille_reply -u ;;
  -p | --pid) _rille_reply -W "$(ps -eo pid= 2>/dev/null)" ;;
  -n | --comm) _rille_reply -W "$(ps -eo comm= 2>/dev/null | sort -u)" ;;
  -o | --output | --object | --crac) _rille_reply -f ;;
  --every | --fd | --inode) COMPREPLY=() ;;
  --kind) _rille_reply -W 'socket pipe file directory fifo device memfd eventpoll eventfd inotify fanotify timerfd signalfd
    pidfd io_uring userfaultfd perf_event bpf namespace anon_inode' ;;
  -e | --eval | -d | --duration | --filter | --depth | --ring | --limit | --top | --fields | --ready-fd) COMPREPLY=() ;;
  *) return 1 ;;
  esac
}

_rille_reply() {
  COMPREPLY=()
  _rille_add "$@"
}

_rille_scripts() {
  _rille_reply -W "$("$rille" list recipes 2>/dev/null | awk '{ print $1 }')"
  _rille_add -f -X '!*.lua'
  _rille_add -d
}

_rille_probes() {
  _rille_reply -W "$("$rille" list probes "${cur:-*}*" 2>/dev/null)"
}

_rille() {
  local rille=$1 cur words cword command='' script=''
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n : cur words cword
  else
    cur=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
  fi
  COMPREPLY=()
  if ! _rille_look; then # behind --: another command's business
    if declare -F _command_offset >/dev/null; then
      local i
      for ((i = 1; i < cword; i++)); do
        [ "${words[i]}" = -- ] && _command_offset $((i + 1)) && return
      done
    fi
    _rille_reply -A command -A file
    return
  fi
  _rille_value "${words[cword - 1]}" && return
  case $command in
  '') if [[ $cur == -* ]]; then
    _rille_reply -W "--help --version -e"
  else
    _rille_reply -W 'run open report list check emit doctor help'
  fi ;;
  run | check | emit) if [[ $cur == -* ]]; then
    # shellcheck disable=SC2086 # no script, no word
    _rille_reply -W "-- $(_rille_options "$rille" "$command" $script)"
  elif [ -z "$script" ]; then
    _rille_scripts
  fi ;;
  open) _rille_reply -W "-- $(_rille_options "$rille" open)" ;;
  report) if [[ $cur == -* ]]; then
    _rille_reply -W "$(_rille_options "$rille" report)"
  else
    _rille_reply -f
  fi ;;
  list) if [[ $cur == -* ]]; then
    _rille_reply -W '--verbose --help'
  elif [ -z "$script" ]; then
    _rille_reply -W "recipes probes $([[ $cur == *:* ]] && "$rille" list probes "$cur*" 2>/dev/null)"
  else
    _rille_probes
  fi ;;
  help) _rille_reply -W 'run open report list check emit doctor' ;;
  esac
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
}

complete -o default -F _rille rille
