import Basics
import CAppProto

extension MappingBehavior {
    init(_ value: Rtun__MappingBehavior) {
        self = MappingBehavior(rawValue: value.rawValue) ?? .unknown
    }

    var wireValue: Rtun__MappingBehavior { Rtun__MappingBehavior(rawValue: self.rawValue) }
}
