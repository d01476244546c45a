//! The interfaces of the contracts, one per generation where they differ.
//!
//! Overloads stand in interfaces of their own, so that each has a name. Nothing here runs; a crash in here is a bug of
//! the encoder.

#![allow(
    clippy::too_many_arguments,
    clippy::allow_attributes,
    reason = "generated from the contracts' interfaces"
)]

use alloy::sol;

sol! {
    struct OutputProposal {
        bytes32 outputRoot;
        uint128 timestamp;
        uint128 l2BlockNumber;
    }

    interface Oracle {
        function version() external view returns (string);
        function latestBlockNumber() external view returns (uint256);
        function nextBlockNumber() external view returns (uint256);
        function nextOutputIndex() external view returns (uint256);
        function getL2Output(uint256 index) external view returns (OutputProposal);
        function submissionInterval() external view returns (uint256);
        function computeL2Timestamp(uint256 block) external view returns (uint256);
        function startingBlockNumber() external view returns (uint256);
        function startingTimestamp() external view returns (uint256);
        function l2BlockTime() external view returns (uint256);
        function historicBlockHashes(uint256 block) external view returns (bytes32);
        function optimisticMode() external view returns (bool);
        function approvedProposers(address proposer) external view returns (bool);
        function verifier() external view returns (address);
        function owner() external view returns (address);
        function challenger() external view returns (address);
        function finalizationPeriodSeconds() external view returns (uint256);
        function checkpointBlockHash(uint256 block) external;
        function aggregationVkey() external view returns (bytes32);
        function rangeVkeyCommitment() external view returns (bytes32);
        function rollupConfigHash() external view returns (bytes32);

        event OutputProposed(
            bytes32 indexed outputRoot,
            uint256 indexed l2OutputIndex,
            uint256 indexed l2BlockNumber,
            uint256 l1Timestamp
        );
        event OutputsDeleted(uint256 indexed prevNextOutputIndex, uint256 indexed newNextOutputIndex);
    }

    interface First {
        function proposeL2Output(bytes32 outputRoot, uint256 l2Block, uint256 l1Block, bytes proof) external payable;
    }

    interface Second {
        function proposeL2Output(
            bytes32 outputRoot,
            uint256 l2Block,
            uint256 l1Block,
            bytes proof,
            address prover
        ) external payable;
    }

    interface Third {
        function proposeL2Output(
            bytes32 configName,
            bytes32 outputRoot,
            uint256 l2Block,
            uint256 l1Block,
            bytes proof,
            address prover
        ) external;
        function dgfProposeL2Output(
            bytes32 configName,
            bytes32 outputRoot,
            uint256 l2Block,
            uint256 l1Block,
            bytes proof,
            address prover
        ) external payable returns (address);
        function opSuccinctConfigs(bytes32 name)
            external
            view
            returns (bytes32 aggregationVkey, bytes32 rangeVkeyCommitment, bytes32 rollupConfigHash);
        function fallbackTimeout() external view returns (uint256);
        function lastProposalTimestamp() external view returns (uint256);
        function disputeGameFactory() external view returns (address);
    }

    interface Optimistic {
        function proposeL2Output(
            bytes32 outputRoot,
            uint256 l2Block,
            bytes32 l1BlockHash,
            uint256 l1Block
        ) external payable;
    }

    interface Factory {
        function create(uint32 gameType, bytes32 rootClaim, bytes extraData) external payable returns (address);
        function initBonds(uint32 gameType) external view returns (uint256);
    }

    interface Verifier {
        function verifyProof(bytes32 vkey, bytes publicValues, bytes proof) external view;
    }

    interface Refusals {
        error Error(string reason);
        error Panic(uint256 code);
        error L1BlockHashNotCheckpointed();
        error L1BlockHashNotAvailable();
        error WrongVerifierSelector(bytes4 received, bytes4 expected);
        error InvalidProof();
        error ProofInvalid();
        error PublicInputNotInField();
        error RouteNotFound(bytes4 selector);
        error RouteIsFrozen(bytes4 selector);
        error InvalidVkRoot();
        error InvalidExitCode();
        error IncorrectBondAmount();
        error NoImplementation(uint32 gameType);
        error GameAlreadyExists(bytes32 uuid);
    }
}
