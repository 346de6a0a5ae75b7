# Completions of rtun for fish: its commands, and behind them what the program of each completes.
function __rtun_program
    set -l words (commandline -opc)
    switch "$words[2] $words[3]"
        case 'agent listen'
            complete -C (string join ' ' -- rtun-server (string escape -- $words[4..]) (commandline -ct))
        case 'agent pub'
            complete -C (string join ' ' -- rtun-agent (string escape -- $words[4..]) (commandline -ct))
        case 'socks *' 'relay *'
            complete -C (string join ' ' -- rtun-$words[2] (string escape -- $words[3..]) (commandline -ct))
    end
end
complete -c rtun -f
complete -c rtun -n 'test (count (commandline -opc)) -eq 1' -a 'agent socks relay --version --help'
complete -c rtun -n 'test (count (commandline -opc)) -eq 2; and test (commandline -opc)[2] = agent' -a 'listen pub'
complete -c rtun -n 'test (count (commandline -opc)) -ge 2' -a '(__rtun_program)'
