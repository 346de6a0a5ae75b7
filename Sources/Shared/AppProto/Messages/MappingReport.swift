package import Basics
import CAppProto

/// The event with which an agent tells the server what it has found out about its NAT.
package struct MappingReport: Hashable, Sendable {
    package var mapping: MappingBehavior

    package init(mapping: MappingBehavior) {
        self.mapping = mapping
    }
}

extension MappingReport: WireMessage {
    static func initialize(_ pointer: UnsafeMutablePointer<Rtun__MappingReport>) { rtun__mapping_report__init(pointer) }

    init(_ message: Rtun__MappingReport) throws(AppProtoError) {
        self.mapping = MappingBehavior(message.mapping)
    }

    func fill(_ message: inout Rtun__MappingReport, _ arena: Arena) {
        message.mapping = self.mapping.wireValue
    }
}
