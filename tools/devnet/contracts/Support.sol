// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// What an oracle asks of a verifier.
interface IVerifier {
    function verifyProof(bytes32 vkey, bytes calldata publicValues, bytes calldata proof) external view;
}

/// Accepts a proof that names its verification key and every public value, and no other: its selector, then the digest
/// of both. A wrong pre-root, checkpoint, range, configuration or prover changes the digest, as it would break a real
/// proof.
contract BindingVerifier {
    error WrongVerifierSelector(bytes4 received, bytes4 expected);
    error RouteNotFound(bytes4 selector);
    error InvalidProof();

    bytes4 public immutable SELECTOR;

    constructor(bytes4 selector) {
        SELECTOR = selector;
    }

    function verifyProof(bytes32 vkey, bytes calldata publicValues, bytes calldata proof) external view {
        if (proof.length < 4) revert RouteNotFound(bytes4(0));
        bytes4 received = bytes4(proof[:4]);
        if (received != SELECTOR) revert WrongVerifierSelector(received, SELECTOR);
        if (proof.length != 36) revert InvalidProof();
        if (bytes32(proof[4:]) != keccak256(abi.encodePacked(vkey, publicValues))) revert InvalidProof();
    }
}

/// Demands an empty proof, for rollups that prove nothing.
contract MockVerifier {
    error InvalidProof();

    function verifyProof(bytes32, bytes calldata, bytes calldata proof) external pure {
        if (proof.length != 0) revert InvalidProof();
    }
}

/// An upgradable front, with the storage slots and the event of EIP-1967.
contract Proxy {
    bytes32 private constant IMPLEMENTATION = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);
    bytes32 private constant ADMIN = bytes32(uint256(keccak256("eip1967.proxy.admin")) - 1);

    event Upgraded(address indexed implementation);

    constructor(address implementation, bytes memory initialization) {
        write(ADMIN, msg.sender);
        point(implementation);
        if (initialization.length > 0) run(implementation, initialization);
    }

    function upgradeTo(address implementation) external {
        require(msg.sender == read(ADMIN), "Proxy: only the admin upgrades");
        point(implementation);
    }

    function point(address implementation) private {
        write(IMPLEMENTATION, implementation);
        emit Upgraded(implementation);
    }

    function run(address implementation, bytes memory data) private {
        (bool done, bytes memory words) = implementation.delegatecall(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(words, 32), mload(words))
            }
        }
    }

    function write(bytes32 slot, address value) private {
        assembly {
            sstore(slot, value)
        }
    }

    function read(bytes32 slot) private view returns (address value) {
        assembly {
            value := sload(slot)
        }
    }

    fallback() external payable {
        address implementation = read(IMPLEMENTATION);
        assembly {
            calldatacopy(0, 0, calldatasize())
            let done := delegatecall(gas(), implementation, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            switch done
            case 0 { revert(0, returndatasize()) }
            default { return(0, returndatasize()) }
        }
    }
}
