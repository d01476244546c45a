// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {SingleConfig} from "./OracleBase.sol";
import {IVerifier} from "./Support.sol";

/// Second generation: the prover's address is the seventh public value, and the origin of the transaction counts too.
contract OracleV2 is SingleConfig {
    struct PublicValues {
        bytes32 l1Head;
        bytes32 l2PreRoot;
        bytes32 claimRoot;
        uint256 claimBlockNum;
        bytes32 rollupConfigHash;
        bytes32 rangeVkeyCommitment;
        address proverAddress;
    }

    function version() external pure returns (string memory) {
        return "v2.0.0";
    }

    function proposeL2Output(bytes32 root, uint256 l2Block, uint256 l1Block, bytes calldata proof, address prover)
        external
        payable
    {
        require(
            approvedProposers[msg.sender] || approvedProposers[tx.origin] || approvedProposers[address(0)],
            "L2OutputOracle: only approved proposers can propose new outputs"
        );
        bytes32 l1Head = checkProposal(root, l2Block, l1Block);
        PublicValues memory values =
            PublicValues(l1Head, preRoot(), root, l2Block, rollupConfigHash, rangeVkeyCommitment, prover);
        IVerifier(verifier).verifyProof(aggregationVkey, abi.encode(values), proof);
        push(root, l2Block);
    }
}
