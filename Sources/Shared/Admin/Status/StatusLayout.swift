import Basics

/// How the page and the table of `--status` show a program's document: which members of it, in which order, under which words.
///
/// The document is for machines and keeps its form; this is for people, and may change at any time.
package struct StatusLayout: Equatable, Sendable {
    /// How a value is shown. The raw values stand in the page.
    package enum Kind: String, Equatable, Sendable {
        case text
        /// A list of texts.
        case list
        case count
        /// A truth value: yes or no.
        case flag
        case bytes
        /// Bytes each way.
        case traffic
        /// Bytes a second each way.
        case rates
        /// A time or a length in milliseconds.
        case milliseconds
        /// A moment in the past, in milliseconds of Unix time: how long that was ago.
        case since
        /// A moment in the future, in milliseconds of Unix time: how long until then; never, if null.
        case until
        /// The same, null for nothing.
        case when
        /// `direct`, `bridge` or null.
        case path
    }

    /// One value.
    package struct Field: Equatable, Sendable {
        package let title: String
        /// Names of members, with points between them.
        package let path: String
        package let kind: Kind

        package init(_ title: String, _ path: String, _ kind: Kind = .text) {
            self.title = title
            self.path = path
            self.kind = kind
        }

        fileprivate var json: JSON {
            ["title": .string(self.title), "path": .string(self.path), "kind": .string(self.kind.rawValue)]
        }
    }

    /// A list, a row for each of its elements.
    package struct Table: Equatable, Sendable {
        package let title: String
        /// Of the list. Its true length, of which the list may be the beginning only, is in the member with `_total` behind it.
        package let path: String
        /// What stands there without any element.
        package let empty: String
        package let columns: [Field]

        package init(_ title: String, _ path: String, empty: String, _ columns: [Field]) {
            self.title = title
            self.path = path
            self.empty = empty
            self.columns = columns
        }

        fileprivate var json: JSON {
            [
                "title": .string(self.title), "path": .string(self.path), "empty": .string(self.empty),
                "columns": .array(self.columns.map(\.json)),
            ]
        }
    }

    /// Of the member that tells one program of this kind from another; nil when none does.
    package let name: String?
    /// What the plot of rates is of.
    package let plot: String
    package let facts: [Field]
    package let tables: [Table]
    /// Counters that stand at the end, those that are not zero: drops, refusals.
    package let counters: [Field]

    package init(name: String? = nil, plot: String, facts: [Field], tables: [Table], counters: [Field] = []) {
        self.name = name
        self.plot = plot
        self.facts = facts
        self.tables = tables
        self.counters = counters
    }

    /// For the page.
    var json: JSON {
        [
            "name": JSON(self.name), "plot": .string(self.plot),
            "facts": .array(self.facts.map(\.json)), "tables": .array(self.tables.map(\.json)),
            "counters": .array(self.counters.map(\.json)),
        ]
    }
}

extension JSON {
    /// The member that `path` leads to, names with points between them; nil where there is none, or null.
    func value(at path: String) -> JSON? {
        var value = self
        for name in path.split(separator: ".") {
            guard let member = value[String(name)], member != .null else { return nil }
            value = member
        }
        return value
    }
}
