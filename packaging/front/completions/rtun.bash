# Completions of rtun for bash: its commands, and behind them what the program of each completes.
_rtun() {
    local current=${COMP_WORDS[COMP_CWORD]} program skip
    COMPREPLY=()
    case $COMP_CWORD,${COMP_WORDS[1]-},${COMP_WORDS[2]-} in
    1,*) mapfile -t COMPREPLY < <(compgen -W 'agent socks relay --version --help' -- "$current") && return ;;
    2,agent,*) mapfile -t COMPREPLY < <(compgen -W 'listen pub' -- "$current") && return ;;
    *,agent,listen) program=server skip=3 ;;
    *,agent,pub) program=agent skip=3 ;;
    *,socks,*) program=socks skip=2 ;;
    *,relay,*) program=relay skip=2 ;;
    *) return ;;
    esac
    if ! declare -F "_rtun_$program" >/dev/null; then
        local file=${BASH_SOURCE[0]%/*}/rtun-$program
        [ -r "$file" ] || return
        # shellcheck disable=SC1090  # that of the program
        . "$file"
    fi
    local -a COMP_WORDS=("rtun-$program" "${COMP_WORDS[@]:skip}")
    local COMP_CWORD=$((COMP_CWORD - skip + 1))
    "_rtun_$program"
}
complete -F _rtun rtun
