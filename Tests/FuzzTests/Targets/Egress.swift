import Basics

@testable import rtun_agent

/// The rules of an egress policy: one a line, `+` in front of those that allow.
func fuzzEgressRule(_ bytes: UnsafeRawBufferPointer) throws {
    var rules: [EgressRule] = []
    for line in FuzzInput(bytes).text().split(separator: "\n").prefix(16) {
        let action: EgressRule.Action = line.hasPrefix("+") ? .allow : .deny
        do throws(EgressRuleError) {
            rules.append(try EgressRule(action, parsing: String(line.drop { $0 == "+" || $0 == "-" })))
        } catch {
            try promise(error.description.contains("\""), "the rule is not in the description")
        }
    }
    for preset in EgressPreset.allCases { try check(EgressPolicy(rules, preset: preset), rules) }
}

/// A file of `--authorized-clients`: no client gets further than the agent's own policy, nor than its line.
func fuzzAuthorizedClients(_ bytes: UnsafeRawBufferPointer) throws {
    let list: AuthorizedClients
    do throws(KeyLineError) {
        list = try AuthorizedClients(parsing: Array(bytes))
    } catch {
        return try promise(!error.problem.isEmpty && error.problem.utf8.count < 1024, "nothing is said to be wrong")
    }
    let wider = EgressPolicy([])
    for rule in list.rules.values.prefix(16) {
        try promise(rule.maximumStreams ?? 1 > 0, "a client that may have nothing")
        guard let policy = rule.policy?.within(wider) else { continue }
        try check(policy, rule.rules)
        for target in rule.rules.flatMap(\.blocks).map({ IPAddress(family: $0.family, bits: $0.bits) })
        where policy.permits(target, port: 80) {
            try promise(wider.permits(target, port: 80), "a line allows what the agent does not")
        }
    }
}

/// Where one address is allowed, some address is.
private func check(_ policy: EgressPolicy, _ rules: [EgressRule]) throws {
    for rule in rules {
        let port = rule.ports.first?.lowerBound ?? 80
        let isAnything = policy.permitsSomeAddress(port: port)
        for block in rule.blocks {
            let ends = [block.bits, block.bits | ~UInt128(0) >> UInt128(128 - block.family.width + block.prefixLength)]
            for bits in ends {
                let address = IPAddress(family: block.family, bits: bits)
                try promise(block.contains(address), "a block without its own addresses")
                if policy.permits(address, port: port) {
                    try promise(isAnything, "an address is allowed where none is said to be")
                }
            }
        }
    }
}
