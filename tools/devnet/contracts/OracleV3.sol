// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {OracleBase} from "./OracleBase.sol";
import {IVerifier} from "./Support.sol";

interface IFactory {
    function create(uint32 gameType, bytes32 root, bytes calldata extra) external payable returns (address);
}

/// Third generation: several named configurations side by side, a timeout after which anybody may submit, and a factory
/// that submissions go through while it is set.
contract OracleV3 is OracleBase {
    struct Config {
        bytes32 aggregationVkey;
        bytes32 rangeVkeyCommitment;
        bytes32 rollupConfigHash;
    }

    struct PublicValues {
        bytes32 l1Head;
        bytes32 l2PreRoot;
        bytes32 claimRoot;
        uint256 claimBlockNum;
        bytes32 rollupConfigHash;
        bytes32 rangeVkeyCommitment;
        address proverAddress;
    }

    event OpSuccinctConfigUpdated(
        bytes32 indexed configName,
        bytes32 aggregationVkey,
        bytes32 rangeVkeyCommitment,
        bytes32 rollupConfigHash
    );
    event OpSuccinctConfigDeleted(bytes32 indexed configName);
    event DisputeGameFactorySet(address indexed factory);

    mapping(bytes32 => Config) public opSuccinctConfigs;
    uint256 public fallbackTimeout;
    address public disputeGameFactory;
    bool private throughFactory;

    function version() external pure returns (string memory) {
        return "v3.0.0";
    }

    function initialize(Setup memory setup, uint256 timeout) external {
        begin(setup);
        fallbackTimeout = timeout;
        bytes32 genesis = keccak256("opsuccinct_genesis");
        opSuccinctConfigs[genesis] =
            Config(setup.aggregationVkey, setup.rangeVkeyCommitment, setup.rollupConfigHash);
    }

    function lastProposalTimestamp() public view returns (uint256) {
        return outputs.length == 0 ? startingTimestamp : outputs[outputs.length - 1].timestamp;
    }

    function proposeL2Output(
        bytes32 configName,
        bytes32 root,
        uint256 l2Block,
        uint256 l1Block,
        bytes calldata proof,
        address prover
    ) external {
        require(
            disputeGameFactory == address(0) || throughFactory,
            "L2OutputOracle: cannot propose L2 output from outside DisputeGameFactory while it is set"
        );
        require(
            approvedProposers[tx.origin] || approvedProposers[address(0)]
                || block.timestamp - lastProposalTimestamp() > fallbackTimeout,
            "L2OutputOracle: only approved proposers can propose new outputs"
        );
        Config memory config = opSuccinctConfigs[configName];
        require(config.rollupConfigHash != bytes32(0), "L2OutputOracle: the configuration does not exist");
        bytes32 l1Head = checkProposal(root, l2Block, l1Block);
        PublicValues memory values = PublicValues(
            l1Head, preRoot(), root, l2Block, config.rollupConfigHash, config.rangeVkeyCommitment, prover
        );
        IVerifier(verifier).verifyProof(config.aggregationVkey, abi.encode(values), proof);
        push(root, l2Block);
    }

    function dgfProposeL2Output(
        bytes32 configName,
        bytes32 root,
        uint256 l2Block,
        uint256 l1Block,
        bytes calldata proof,
        address prover
    ) external payable returns (address game) {
        require(disputeGameFactory != address(0), "L2OutputOracle: dispute game factory is not set");
        throughFactory = true;
        bytes memory extra = abi.encode(configName, l2Block, l1Block, prover, proof);
        game = IFactory(disputeGameFactory).create{value: msg.value}(6, root, extra);
        throughFactory = false;
    }

    function addOpSuccinctConfig(bytes32 name, bytes32 config, bytes32 aggregation, bytes32 range_)
        external
        onlyOwner
    {
        opSuccinctConfigs[name] = Config(aggregation, range_, config);
        emit OpSuccinctConfigUpdated(name, aggregation, range_, config);
    }

    function deleteOpSuccinctConfig(bytes32 name) external onlyOwner {
        delete opSuccinctConfigs[name];
        emit OpSuccinctConfigDeleted(name);
    }

    function setDisputeGameFactory(address factory) external onlyOwner {
        disputeGameFactory = factory;
        emit DisputeGameFactorySet(factory);
    }
}
