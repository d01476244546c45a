// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {IVerifier} from "./Support.sol";

/// What the three generations of the output oracle have in common: outputs, checkpoints, who may submit, the emergency
/// brake, optimistic mode. Written from the interface alone, for tests.
abstract contract OracleBase {
    struct OutputProposal {
        bytes32 outputRoot;
        uint128 timestamp;
        uint128 l2BlockNumber;
    }

    struct Setup {
        address owner;
        address challenger;
        address proposer;
        address verifier;
        uint256 submissionInterval;
        uint256 l2BlockTime;
        uint256 startingBlockNumber;
        uint256 startingTimestamp;
        bytes32 startingOutputRoot;
        uint256 finalizationPeriodSeconds;
        bytes32 aggregationVkey;
        bytes32 rangeVkeyCommitment;
        bytes32 rollupConfigHash;
    }

    event OutputProposed(
        bytes32 indexed outputRoot,
        uint256 indexed l2OutputIndex,
        uint256 indexed l2BlockNumber,
        uint256 l1Timestamp
    );
    event OutputsDeleted(uint256 indexed prevNextOutputIndex, uint256 indexed newNextOutputIndex);
    event OptimisticModeToggled(bool indexed enabled, uint256 finalizationPeriodSeconds);
    event SubmissionIntervalUpdated(uint256 before, uint256 now_);
    event VerifierUpdated(address indexed before, address indexed now_);
    event ProposerUpdated(address indexed proposer, bool approved);

    error L1BlockHashNotAvailable();
    error L1BlockHashNotCheckpointed();

    uint256 public submissionInterval;
    uint256 public l2BlockTime;
    uint256 public startingBlockNumber;
    uint256 public startingTimestamp;
    uint256 public finalizationPeriodSeconds;
    address public owner;
    address public challenger;
    address public verifier;
    bool public optimisticMode;
    mapping(address => bool) public approvedProposers;
    mapping(uint256 => bytes32) public historicBlockHashes;
    OutputProposal[] internal outputs;
    bool private started;

    modifier onlyOwner() {
        require(msg.sender == owner, "L2OutputOracle: caller is not the owner");
        _;
    }

    function begin(Setup memory setup) internal {
        require(!started, "Initializable: contract is already initialized");
        started = true;
        owner = setup.owner;
        challenger = setup.challenger;
        verifier = setup.verifier;
        submissionInterval = setup.submissionInterval;
        l2BlockTime = setup.l2BlockTime;
        startingBlockNumber = setup.startingBlockNumber;
        startingTimestamp = setup.startingTimestamp;
        finalizationPeriodSeconds = setup.finalizationPeriodSeconds;
        approvedProposers[setup.proposer] = true;
        if (setup.startingOutputRoot != bytes32(0)) {
            outputs.push(
                OutputProposal(
                    setup.startingOutputRoot,
                    uint128(setup.startingTimestamp),
                    uint128(setup.startingBlockNumber)
                )
            );
        }
    }

    // What a proposer reads.

    function latestOutputIndex() external view returns (uint256) {
        return outputs.length - 1;
    }

    function nextOutputIndex() public view returns (uint256) {
        return outputs.length;
    }

    function latestBlockNumber() public view returns (uint256) {
        return outputs.length == 0 ? startingBlockNumber : outputs[outputs.length - 1].l2BlockNumber;
    }

    function nextBlockNumber() public view returns (uint256) {
        return latestBlockNumber() + submissionInterval;
    }

    function computeL2Timestamp(uint256 l2Block) public view returns (uint256) {
        return startingTimestamp + (l2Block - startingBlockNumber) * l2BlockTime;
    }

    function getL2Output(uint256 index) external view returns (OutputProposal memory) {
        return outputs[index];
    }

    // What a proposer does.

    function checkpointBlockHash(uint256 number) external {
        bytes32 found = blockhash(number);
        if (found == bytes32(0)) revert L1BlockHashNotAvailable();
        historicBlockHashes[number] = found;
    }

    /// Optimistic mode: the very next block, without proof.
    function proposeL2Output(bytes32 root, uint256 l2Block, bytes32 l1BlockHash, uint256 l1Block) external payable {
        require(optimisticMode, "L2OutputOracle: optimistic mode is not enabled");
        require(
            approvedProposers[msg.sender] || approvedProposers[address(0)],
            "L2OutputOracle: only approved proposers can propose new outputs"
        );
        require(
            l2Block == nextBlockNumber(),
            "L2OutputOracle: block number must be equal to next expected block number"
        );
        checkTime(l2Block);
        require(root != bytes32(0), "L2OutputOracle: L2 output proposal cannot be the zero hash");
        if (l1BlockHash != bytes32(0)) {
            require(
                blockhash(l1Block) == l1BlockHash,
                "L2OutputOracle: block hash does not match the hash at the expected height"
            );
        }
        push(root, l2Block);
    }

    function checkTime(uint256 l2Block) internal view {
        require(
            computeL2Timestamp(l2Block) < block.timestamp,
            "L2OutputOracle: cannot propose L2 output in the future"
        );
    }

    /// What holds for every proven submission.
    function checkProposal(bytes32 root, uint256 l2Block, uint256 l1Block) internal view returns (bytes32 l1Head) {
        require(!optimisticMode, "L2OutputOracle: optimistic mode is enabled");
        require(
            l2Block >= nextBlockNumber(),
            "L2OutputOracle: block number must be greater than or equal to next expected block number"
        );
        checkTime(l2Block);
        require(root != bytes32(0), "L2OutputOracle: L2 output proposal cannot be the zero hash");
        l1Head = historicBlockHashes[l1Block];
        if (l1Head == bytes32(0)) revert L1BlockHashNotCheckpointed();
    }

    function push(bytes32 root, uint256 l2Block) internal {
        emit OutputProposed(root, outputs.length, l2Block, block.timestamp);
        outputs.push(OutputProposal(root, uint128(block.timestamp), uint128(l2Block)));
    }

    function preRoot() internal view returns (bytes32) {
        return outputs[outputs.length - 1].outputRoot;
    }

    // What owner and challenger do.

    function deleteL2Outputs(uint256 index) external {
        require(msg.sender == challenger, "L2OutputOracle: only the challenger address can delete outputs");
        uint256 before = outputs.length;
        require(index < before, "L2OutputOracle: cannot delete outputs after the latest output index");
        while (outputs.length > index) outputs.pop();
        emit OutputsDeleted(before, index);
    }

    function enableOptimisticMode(uint256 period) external onlyOwner {
        finalizationPeriodSeconds = period;
        optimisticMode = true;
        emit OptimisticModeToggled(true, period);
    }

    function disableOptimisticMode(uint256 period) external onlyOwner {
        finalizationPeriodSeconds = period;
        optimisticMode = false;
        emit OptimisticModeToggled(false, period);
    }

    function updateSubmissionInterval(uint256 interval) external onlyOwner {
        emit SubmissionIntervalUpdated(submissionInterval, interval);
        submissionInterval = interval;
    }

    function updateVerifier(address other) external onlyOwner {
        emit VerifierUpdated(verifier, other);
        verifier = other;
    }

    function addProposer(address proposer) external onlyOwner {
        approvedProposers[proposer] = true;
        emit ProposerUpdated(proposer, true);
    }

    function removeProposer(address proposer) external onlyOwner {
        approvedProposers[proposer] = false;
        emit ProposerUpdated(proposer, false);
    }
}

/// First and second generation: one set of commitments, read through getters.
abstract contract SingleConfig is OracleBase {
    bytes32 public aggregationVkey;
    bytes32 public rangeVkeyCommitment;
    bytes32 public rollupConfigHash;

    event AggregationVkeyUpdated(bytes32 indexed before, bytes32 indexed now_);
    event RangeVkeyCommitmentUpdated(bytes32 indexed before, bytes32 indexed now_);
    event RollupConfigHashUpdated(bytes32 indexed before, bytes32 indexed now_);

    function initialize(Setup memory setup) external {
        begin(setup);
        aggregationVkey = setup.aggregationVkey;
        rangeVkeyCommitment = setup.rangeVkeyCommitment;
        rollupConfigHash = setup.rollupConfigHash;
    }

    function updateAggregationVkey(bytes32 key) external onlyOwner {
        emit AggregationVkeyUpdated(aggregationVkey, key);
        aggregationVkey = key;
    }

    function updateRangeVkeyCommitment(bytes32 key) external onlyOwner {
        emit RangeVkeyCommitmentUpdated(rangeVkeyCommitment, key);
        rangeVkeyCommitment = key;
    }

    function updateRollupConfigHash(bytes32 hash) external onlyOwner {
        emit RollupConfigHashUpdated(rollupConfigHash, hash);
        rollupConfigHash = hash;
    }
}
