/// An array of tables that stands for a repeatable option: `[[rtun-relay.rule]]` with its keys for `-L`.
package struct ConfigurationTable: Sendable {
    /// The name, such as `rule`.
    let name: String
    /// The option that each table is a value of, such as `L`.
    let option: String
    /// The keys that each table must have.
    let required: [String]
    /// Those that it may have.
    let optional: [String]
    /// The option's value, from those of the keys.
    let value: @Sendable ([String: String]) -> String

    /// A table `name`, whose keys are put together by `value` for `option`, which goes without dashes.
    package init(
        _ name: String, option: String, required: [String], optional: [String] = [],
        value: @escaping @Sendable ([String: String]) -> String
    ) {
        self.name = name
        self.option = option
        self.required = required
        self.optional = optional
        self.value = value
    }
}
