# SPDX-License-Identifier: MIT
# Completion for fish. The options are read from --help of the fleetfs in use.

# Prints a line for each option: letter, name, placeholder of the value, description, separated by tabs.
function __fleetfs_options
    fleetfs --help 2>/dev/null | string replace -rf \
        '^  (?:-(.), )?--([a-z_]+)(?:=([A-Z]+))? +(.*)$' '$1\t$2\t$3\t$4'
end

# Prints what can follow in a list of settings after -o.
function __fleetfs_list
    set -l before (string match -r '^.*,' -- (commandline -ct | string replace -r '^-o' ''))
    fleetfs --help 2>/dev/null | string match -r '^  .*|^Instead' | while read -l line
        string match -q 'Instead*' -- $line; and break
        string replace -rf '^ *(?:-., )?--([a-z_]+)(=?)[A-Z]* +(.*)$' "$before\$1\$2\t\$3" -- $line
    end
end

complete -c fleetfs -x -s o -a '(__fleetfs_list)' -d 'settings and mount options, as a list'
__fleetfs_options | while read -l -d \t letter name value description
    set -l option -c fleetfs -l $name -d $description
    test -n "$letter"; and set -a option -s $letter
    switch "$value"
        case ''
            complete $option
        case FILE
            complete $option -r -F
        case '*'
            complete $option -x
    end
end
functions -e __fleetfs_options
